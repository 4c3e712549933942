"""Tools of the mini-DIV2K ×4 super-resolution challenge; importing this package does nothing."""
