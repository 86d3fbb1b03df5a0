"""Which of many texts a person should label: uncertain ones, spread over clusters of similar texts."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

CANDIDATES_A_ROW = 10
"""Texts that are clustered for each that is chosen."""
_FEATURES = 50_000
_EXACT_CANDIDATES = 5000
"""More candidates are clustered by batches, which is faster and less exact."""


def choose_spread(
    texts: Sequence[str], worth: npt.NDArray[np.float64], *, num_rows: int, seed: int = 0
) -> npt.NDArray[np.int64]:
    """Return the places of up to `num_rows` different texts, the most worth a look first.

    The texts of most worth are cut into as many clusters as rows are wanted, each text weighing as much as it is worth;
    the best text of each cluster is chosen, so that near-duplicates are rarely shown twice. Zhdanov (2019), "Diverse
    mini-batch active learning".

    Args:
        texts: N texts.
        worth: (N,) how much a look at each text is worth, at least 0.
        num_rows: How many to choose.
        seed: Of the clusters.
    """
    # Best first; of equal texts only the first counts.
    different: dict[str, int] = {}
    for place in np.argsort(-worth, kind="stable").tolist():
        different.setdefault(texts[place], place)
    candidates = np.array(list(different.values())[: CANDIDATES_A_ROW * num_rows], dtype=np.int64)
    if len(candidates) <= num_rows:
        return candidates
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    # (C, F) sparse rows of unit length for C candidates, from what stands between spaces. All words weigh alike: with
    # weights for rare ones, texts that differ in a number alone would not be alike.
    vectorizer = TfidfVectorizer(analyzer=lambda text: text.lower().split(), use_idf=False, max_features=_FEATURES)
    features = vectorizer.fit_transform([texts[place] for place in candidates])
    kind = KMeans if len(candidates) <= _EXACT_CANDIDATES else MiniBatchKMeans
    clusters = kind(num_rows, random_state=seed, n_init=3)
    # A weight of 0 would leave a text out.
    found = clusters.fit_predict(features, sample_weight=worth[candidates] + 1e-6)
    # The first candidate of each cluster is its best; small corpora may leave clusters empty, which the rest fills.
    _, firsts = np.unique(found, return_index=True)
    rest = np.setdiff1d(np.arange(len(candidates)), firsts)
    chosen = np.sort(np.concatenate([firsts, rest[: num_rows - len(firsts)]]))
    return np.asarray(candidates[chosen], dtype=np.int64)
