"""The program of a GPU's process on a pretended card, the one that LOCAL_RANK names of two.

Each question is noted in PRETENDED_LOG, with the card and the number of texts.
"""

import os
from pathlib import Path

from pretended_cuda import in_this_thread, pretended_cuda

from textlstm.inference import gpu_main
from textlstm.inference.torch_backend import TorchNetworks
from textlstm.models.network.inputs import EncodedSplit

plain = TorchNetworks.logits


def noted(self: TorchNetworks, split: EncodedSplit) -> object:
    with Path(os.environ["PRETENDED_LOG"]).open("a") as log:
        log.write(f"{self.networks[0].device} {split.num_rows}\n")
    return plain(self, split)


if __name__ == "__main__":
    TorchNetworks.logits = noted
    serve = gpu_main._serve

    def on_the_card(*question: object) -> None:
        with in_this_thread():
            serve(*question)

    gpu_main._serve = on_the_card
    with pretended_cuda(int(os.environ["LOCAL_RANK"]), count=2):
        gpu_main.main()
