"""Which parameters the outcome depends on."""

from matplotlib.figure import Figure

from cnnlab.workbench.canvas import BLUE, NotDrawn, figure
from cnnlab.workbench.notation import shortened
from cnnlab.workbench.study_reports.figures.view import View

_MOST = 25


def param_importances(view: View) -> Figure:
    """Bars of the parameters' shares, the largest on top.

    Raises:
        NotDrawn: fewer than two complete trials, one parameter, or no differences to explain.
    """
    complete = view.require_complete()
    if len({name for trial in complete for name in trial.params}) < 2:
        raise NotDrawn("fewer than two parameters")
    if not view.importances:
        raise NotDrawn("the values of the complete trials do not tell the parameters apart")
    shares = list(view.importances.items())[:_MOST]
    drawn = figure(0.8 + 0.27 * len(shares))
    axes = drawn.add_subplot()
    bars = axes.barh(
        [shortened(view.short[name], 32) for name, _ in shares], [share for _, share in shares], color=BLUE, height=0.68
    )
    axes.bar_label(bars, [f"{share:.2f}" if share >= 0.005 else "< 0.01" for _, share in shares], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1.12 * shares[0][1])
    axes.set_xlabel(f"share of the importance for {view.metric} (PED-ANOVA, {len(complete)} complete trials)")
    return drawn
