"""What an anonymous bundle takes out, and the search for what is left.

`collect` finds out whom and what to hide, `rules` and `needles` turn that into what to look for,
`scrub` and `rewrite` take it out, `containers` and `forms` read every file in every encoding,
`search` looks there, and `report` says what was done.
"""
