"""Adapters that do what adapters do when they go wrong, and the small environment that they run in."""

from __future__ import annotations

from bench.cards.environment import EnvironmentFacts

NUMPY = EnvironmentFacts(python="3.11", requirements=("numpy<2.3",), timeout=30, loading=60)

ADAPTERS = '''
import os
import subprocess
import sys
import time

import numpy as np


class Generator:
    """Answers in whatever way its question asks for."""

    def __init__(self, weights, device, dtype, greeting="hello"):
        if greeting == "none":
            print("about to fail", file=sys.stderr)
            raise ValueError("no greeting")
        self.said = f"{greeting} {device} {dtype} {weights['model'].name}"

    def answer(self, pixels, question):
        if question == "raise":
            raise KeyError("the picture is too sad")
        if question == "hang":
            print("going to sleep", file=sys.stderr, flush=True)
            time.sleep(600)
        if question == "hang with a child":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            with open(os.environ["PIDS"], "w") as file:
                file.write(f"{os.getpid()} {child.pid}\\n")
            time.sleep(600)
        if question == "die":
            print("last words", file=sys.stderr, flush=True)
            os._exit(3)
        if question == "die and leave a child":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            os._exit(3)
        if question == "print":
            print("noise " * 1000)
            os.write(1, b"\\x00\\x01 more noise")
            sys.stdout.flush()
            subprocess.run([sys.executable, "-c", "print('noise of a child')"])
            return [repr(sys.stdin.read())] * len(pixels)
        if question == "memory":
            raise type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory")
        if question == "where":
            return [sys.prefix, str("bench" in sys.modules), np.__version__, str(os.getpid()), str(sys.path)]
        if question == "array":
            return np.zeros(3)
        return [f"{self.said}: {question} {picture.mean():.3f}" for picture in pixels]

    def loglikelihood(self, pixels, question, options):
        sums = pixels.astype(np.float64).reshape(len(pixels), -1).sum(1)
        return np.stack([sums + len(option) for option in options], axis=1)


class Encoder:
    logit_scale = 12.5

    def __init__(self, weights, device, dtype):
        pass

    def encode_images(self, pixels):
        return pixels.reshape(len(pixels), -1)

    def encode_texts(self, texts):
        return np.array([[len(text), ord(text[0])] for text in texts], dtype=np.float64)
'''
