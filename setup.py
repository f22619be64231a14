"""Package metadata; the settings of the tools are in pyproject.toml."""

import os
import re
from pathlib import Path

from setuptools import Extension, find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (ROOT / "search_back/__init__.py").read_text(encoding="utf-8")
).group(1)

# Loaded by search_back/kernels; without a C compiler the installation goes on without it.
KERNELS = Extension(
    "search_back.kernels._compiled",
    sources=[f"search_back/kernels/{name}.c" for name in ("graph", "lists", "texts")],
    depends=["search_back/kernels/kernels.h"],
    extra_compile_args=[]
    if os.name == "nt"
    else [
        "-O3",
        "-fvisibility=hidden",
        # Sums may be added up in another order, several at once.
        *("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno"),
    ],
    optional=True,
)

setup(
    name="search_back",
    version=VERSION,
    description="A search engine for your own pictures: by words, by picture, by address.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE", "NOTICE"],
    python_requires=">=3.10",
    packages=[*find_packages(include=["search_back", "search_back.*"]), "search_back.front"],
    package_dir={"search_back.front": "front"},
    package_data={
        "search_back": ["py.typed"],
        "search_back.models": ["*.tar", "emoji/*"],
        "search_back.front": ["*.html", "*.css", "*.js", "*.svg", "*.png", "*/*"],
    },
    include_package_data=False,
    ext_modules=[KERNELS],
    install_requires=[
        "certifi>=2024.7",
        "click>=8.1.8",
        "faiss-cpu>=1.15",
        "filelock>=3.13",
        "flask>=3.0",
        "flask-cors>=5.0",
        "ftfy>=6.1",
        "gunicorn>=23.0; sys_platform != 'win32'",
        "h5py>=3.10",
        "numpy>=1.26",
        "onnxruntime>=1.20",
        "open-clip-torch>=3.0",
        "orjson>=3.10",
        "pillow>=11.3",
        "platformdirs>=4.0",
        "prometheus-client>=0.21",
        "pyarrow>=17.0",
        "pydantic>=2.9",
        "requests>=2.32",
        "tokenizers>=0.20",
        "torch>=2.5",
        "tqdm>=4.66",
        "urllib3>=2.2",
        "waitress>=3.0",
    ],
    extras_require={
        "heic": ["pillow-heif>=1.0"],
        "export": ["onnx>=1.17", "onnxscript>=0.5"],
        "hf": ["protobuf>=5.0", "sentencepiece>=0.2", "transformers>=5.0"],
        "map": ["opentsne>=1.0"],
        "openvino": ["openvino>=2025.0"],
        "recipe": ["onnx>=1.17", "onnxscript>=0.5", "resvg-py>=0.2"],
        "remote": ["aiohttp>=3.9", "fsspec>=2024.6"],
        "tracing": ["opentelemetry-exporter-otlp-proto-http>=1.30", "opentelemetry-sdk>=1.30"],
        "test": [
            "aiohttp>=3.9",
            "axe-playwright-python>=0.1.7",
            "fsspec>=2024.6",
            "hypothesis>=6.100",
            "onnx>=1.17",
            "onnxscript>=0.5",
            "openapi-spec-validator>=0.7",
            "opentelemetry-exporter-otlp-proto-http>=1.30",
            "opentelemetry-sdk>=1.30",
            "opentsne>=1.0",
            "openvino>=2025.0",
            "pillow-heif>=1.0",
            "playwright>=1.50",
            "protobuf>=5.0",
            "pytest>=8.3",
            "pytest-timeout>=2.3",
            "pyyaml>=6.0",
            "schemathesis>=4.0",
            "sentencepiece>=0.2",
            "setuptools>=77",
            "transformers>=5.0",
        ],
        "lint": ["import-linter>=2.1", "mypy>=1.13", "ruff>=0.8", "types-requests", "types-tqdm"],
    },
    entry_points={"console_scripts": ["search-back=search_back.cli:main"]},
    classifiers=[
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
