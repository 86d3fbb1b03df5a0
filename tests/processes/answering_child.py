"""The child of test_call.py: it does what the message asks for."""

import os
import sys
import time
from pathlib import Path

from textlstm.errors import InputError
from textlstm.processes.call import Message, answer


def compute(message: Message) -> Message:
    match message.values["wanted"]:
        case "double":
            sys.stdout.write("a library that prints\n")
            return Message({"said": message.values["said"]}, {k: 2 * v for k, v in message.arrays.items()})
        case "refuse":
            raise InputError("line 3: no label", "line 5: no label")
        case "break":
            raise ZeroDivisionError("one by none")
        case _:
            Path(message.values["note"]).write_text(str(os.getpid()), encoding="utf-8")
            time.sleep(600)
            return message


if __name__ == "__main__":
    answer(int(sys.argv[1]), compute)
