"""Whether a method keeps the contract of `bench.models.contract`: one check a promise, each with a sentence for its author."""
