"""Tools for finished runs. They import the template; no module of the template imports them."""
