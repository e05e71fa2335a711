"""What users can take today in this project's place, measured beside it in one interleaved run."""
