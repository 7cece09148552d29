"""Speed and size, measured: `make bench`. One module per room; see `bench.harness`."""
