"""What mail providers tell us by webhook: one file for each, with `verify` and `parse`, and no network and no clock."""
