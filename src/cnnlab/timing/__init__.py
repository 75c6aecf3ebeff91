"""Where the time of a run goes: measured, and said in one sentence."""
