"""Other tools that are told what happened. They follow the storage, and nothing here ever reads from them."""
