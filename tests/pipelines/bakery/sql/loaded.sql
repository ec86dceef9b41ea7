SELECT finished IS NOT NULL FROM loads WHERE day = $1
