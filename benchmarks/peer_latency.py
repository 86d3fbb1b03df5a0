"""How long one row takes when the model is in memory: `peer_latency.py SCRIPT MODEL ROWS` prints milliseconds as JSON.

SCRIPT is a file of label_peers/ (its function `label` is called, nothing else); runs in the peer's own environment and
imports only the standard library.
"""

import importlib.util
import json
import sys
import time
from pathlib import Path

NUM_ROWS, NUM_WARM = 200, 20


def main() -> None:
    """Label rows one by one and print the median and the 95th percentile."""
    script, model, rows = map(Path, sys.argv[1:4])
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location("peer", script)
    assert spec is not None
    assert spec.loader is not None
    peer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peer)
    predict = peer.label(model)
    texts = [json.loads(line)["text"] for line in rows.read_text(encoding="utf-8").splitlines()[: NUM_ROWS + NUM_WARM]]
    times = []
    for text in texts:
        started = time.perf_counter()
        predict([text])
        times.append((time.perf_counter() - started) * 1000)
    kept = sorted(times[NUM_WARM:] or times)
    print("\n" + json.dumps({"median_ms": kept[len(kept) // 2], "p95_ms": kept[int(len(kept) * 0.95)]}))


if __name__ == "__main__":
    main()
