"""``python -m search_back.cli``."""

from search_back.cli import main

main(prog_name="search-back")
