"""Where labelled rows come from: files, the packaged corpus, the hub."""
