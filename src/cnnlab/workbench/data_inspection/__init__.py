"""A first look at a data set: how much there is of what, copies, odd samples, and a picture."""
