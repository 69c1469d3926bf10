"""The digital 7 T hand: anatomy with known truth, lesions, fields, scans of an examination."""
