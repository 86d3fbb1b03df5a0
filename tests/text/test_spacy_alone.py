import subprocess
import sys

SCRIPT = """
import sys
from textlstm.text.spacy_models import import_spacy_alone
import_spacy_alone()
import spacy
assert not any(name == "torch" or name.startswith(("torch.", "spacy.cli")) for name in sys.modules)
assert [token.text for token in spacy.blank("en")("Don't wait.")] == ["Do", "n't", "wait", "."]
import spacy.cli, torch
assert callable(spacy.cli.info) and spacy.cli.__file__
assert torch.ones(2).sum() == 2
"""


def test_spacy_comes_without_torch_and_command_line_which_can_be_had_later():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)
