"""What a pair of doors to one data set can promise: five invariants.

A *door* is one protocol's way in: files (NFS, FUSE) or objects (S3). Each promises something by
itself. Files promise close-to-open: who opens a file after another's close reads what that one
wrote. S3 promises strong read-after-write, and writes that take effect only if a condition holds.
A *validator* is what a door compares to find out whether a content is still the same: S3 the ETag,
files the time of change (and, over NFS 4, the change attribute).

The invariants say what a pair can promise at best. docs/files-and-objects.md states them in full.
"""

INVARIANTS = {
    "I1": "Every mutation through either door changes the validator that the other door checks.",
    "I2": "What a door acknowledged is visible through the other door within a stated bound.",
    "I3": "Each name is one object of its own, or is refused.",
    "I4": "No door shows a state that nobody wrote.",
    "I5": "What a door acknowledged is not lost through the other door.",
}
