"""Tables and figures of one run or of several runs side by side."""
