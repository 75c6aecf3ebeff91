"""A figure of how much each parameter matters for an objective."""

from matplotlib.figure import Figure

from cnnlab.workbench.canvas import BLUE, GREY, NotDrawn, figure
from cnnlab.workbench.notation import shortened
from cnnlab.workbench.study_reports.figures.view import View

_MOST_BARS = 25


def param_importances(view: View) -> Figure:
    """Bars of the parameters' shares in how far the outcomes differ, the largest on top, with their spread over trees.

    Raises:
        NotDrawn: there are too few complete trials or parameters for a statement.
    """
    complete = view.require_complete()
    if len(view.varied) < 2:
        raise NotDrawn("fewer than two parameters vary")
    if len(complete) < view.enough:
        raise NotDrawn(f"{len(complete)} complete trials say too little about {len(view.varied)} parameters:"
                       f" {view.enough} are needed")  # fmt: skip
    if not view.importances:
        raise NotDrawn("the values of the complete trials do not tell the parameters apart")
    found = list(view.importances.items())[:_MOST_BARS]
    names, shares = [name for name, _ in found], [importance.share for _, importance in found]
    drawn = figure(1.0 + 0.27 * len(names))
    axes = drawn.add_subplot()
    spreads = [importance.spread for _, importance in found]
    axes.barh(range(len(names)), shares, color=BLUE, height=0.7)
    axes.errorbar(shares, range(len(names)), xerr=spreads, linestyle="", ecolor=GREY, elinewidth=1.2, capsize=2.5)
    for place, (share, spread) in enumerate(zip(shares, spreads, strict=True)):
        text = f"{share:.0%}" if share >= 0.005 else "< 0.5%"
        axes.annotate(text, (share + spread, place), (5, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(names)), [shortened(view.short[name], 32) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.12 * max(share + spread for share, spread in zip(shares, spreads, strict=True)))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_xlabel(
        f"share of the differences in {view.label} that each explains by itself\n"
        f"(fANOVA of {len(complete)} complete trials, ± standard deviation over trees)"
    )
    return drawn
