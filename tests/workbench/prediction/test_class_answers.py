"""What is said of the answers together."""

import numpy as np

from cnnlab.workbench.prediction.class_answers import Answers
from cnnlab.workbench.prediction.predictor import Answer


def test_a_network_less_sure_than_it_was_right_is_told() -> None:
    def warnings(*probabilities: float) -> list[str]:
        shares = {str(number): np.array([share, 1 - share]) for number, share in enumerate(probabilities)}
        given = {name: Answer("a", both[0], "b", both[1], both, np.eye(1)) for name, both in shares.items()}
        answers = Answers(("a", "b"), given)
        answers.warn_if_unsure(0.96, "mnist")
        return answers.warnings

    (warning,) = warnings(0.6, 0.7, 0.8)
    assert warning.startswith("most answers are unsure, 70% on average, where 96% of the validation samples of mnist")
    assert warnings(0.99, 0.6, 0.9) == []
    assert warnings(0.6, 0.7) == [], "of two the table itself says enough"
