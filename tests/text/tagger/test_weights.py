import pytest
import spacy

from textlstm.text.tagger.weights import UnknownArchitecture, read_weights


def _tok2vec(**changes):
    embed = {
        "@architectures": "spacy.MultiHashEmbed.v2",
        "width": 16,
        "attrs": ["NORM", "PREFIX", "SHAPE"],
        "rows": [50, 20, 30],
        "include_static_vectors": False,
    }
    encode = {
        "@architectures": "spacy.MaxoutWindowEncoder.v2",
        "width": 16,
        "depth": 2,
        "window_size": 1,
        "maxout_pieces": 2,
    }
    parts = {"embed": embed, "encode": encode}
    for key, value in changes.items():
        part, _, name = key.partition("_")
        parts[part] = value if not name else parts[part] | {name: value}
    return {"@architectures": "spacy.Tok2Vec.v2", **parts}


def _tagger(tok2vec, extra=()):
    nlp = spacy.blank("en")
    tagger = nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec}})
    for label in ("NN", "VB", "DT"):
        tagger.add_label(label)
    nlp.initialize()
    for name in extra:
        nlp.add_pipe(name)
    return nlp


def test_weights_of_the_installed_model_have_its_sizes(reference_nlp):
    weights = read_weights(reference_nlp)
    assert weights.columns == ("NORM", "PREFIX", "SUFFIX", "SHAPE", "SPACY", "IS_SPACE")
    assert weights.width == 96
    assert [table.rows.shape for table in weights.tables] == [
        (5000, 96), (1000, 96), (2500, 96), (2500, 96), (50, 96), (50, 96),
    ]  # fmt: skip
    assert weights.embed.weight.shape == (288, 576)
    assert [layer.weight.shape for layer in weights.windows] == [(288, 288)] * 4
    assert weights.output_weight.shape == (50, 96)
    assert weights.static is None


def test_a_tagger_with_its_own_tok2vec_is_recognized():
    weights = read_weights(_tagger(_tok2vec()))
    assert (weights.width, len(weights.windows), weights.embed.num_pieces, weights.windows[0].num_pieces) == (
        16,
        2,
        3,
        2,
    )
    assert weights.labels == ("NN", "VB", "DT")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"encode_window_size": 2}, "its encoder is not spacy.MaxoutWindowEncoder.v2 with window 1"),
        (
            {"encode": {"@architectures": "spacy.MishWindowEncoder.v2", "width": 16, "depth": 2, "window_size": 1}},
            "its encoder is not spacy.MaxoutWindowEncoder.v2 with window 1",
        ),
        (
            {
                "embed": {
                    "@architectures": "spacy.CharacterEmbed.v2",
                    "width": 16,
                    "rows": 50,
                    "nM": 8,
                    "nC": 4,
                    "include_static_vectors": False,
                }
            },
            "its embedding is not spacy.MultiHashEmbed.v2",
        ),
    ],
)
def test_other_architectures_are_not_recognized(changes, reason):
    with pytest.raises(UnknownArchitecture) as caught:
        read_weights(_tagger(_tok2vec(**changes)))
    assert str(caught.value) == reason


def test_other_components_are_not_recognized():
    with pytest.raises(UnknownArchitecture) as caught:
        read_weights(_tagger(_tok2vec(), extra=["sentencizer"]))
    assert str(caught.value) == "its components are tagger, sentencizer"


def test_a_pipeline_without_tagger_is_not_recognized():
    with pytest.raises(UnknownArchitecture) as caught:
        read_weights(spacy.blank("en"))
    assert str(caught.value) == "its components are "
