"""What servers have answered: logged rows by partition, in the storage of their pipeline."""
