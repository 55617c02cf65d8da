"""Its clock (`clock.c`, `clock.h`) is the store's, too."""
