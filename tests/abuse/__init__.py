"""What hostile, broken and hasty clients do, and what befalls files and processes under load."""
