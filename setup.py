"""The compiled kernels, the one thing that pyproject.toml cannot state in settled keys.

One shared object serves every Python version (stable ABI of 3.10). It is optional: where no C compiler
works the install succeeds without it, and the engine runs in NumPy.
"""

from pathlib import Path

from setuptools import Extension, setup

KERNELS = Path("snn_deploy/engine/kernels")

engine = Extension(
    "snn_deploy.engine.kernels._engine",
    sources=sorted(str(path) for path in KERNELS.glob("*.c")),
    depends=sorted(str(path) for pattern in ("*.h", "*.inc") for path in KERNELS.glob(pattern)),
    extra_compile_args=["-O3", "-std=gnu11"],
    py_limited_api=True,
    optional=True,
)

setup(ext_modules=[engine], options={"bdist_wheel": {"py_limited_api": "cp310"}})
