"""The stored model as a function of Spark, on Spark of this machine."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from textlstm.inference.classifier import TextClassifier

pytestmark = pytest.mark.long
RESULT = "label string, probability double, decision string"


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed: pip install pyspark")
    if shutil.which("java") is None:
        pytest.skip("java is not installed")
    # The workers must be this Python, with this package.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    source = str(Path(__file__).resolve().parents[2] / "src")
    os.environ["PYTHONPATH"] = os.pathsep.join((source, os.environ.get("PYTHONPATH", "")))
    builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    session = builder.config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse"))).getOrCreate()
    yield session
    session.stop()


def test_spark_udf_gives_the_classifier_s_answers(spark: Any, tiny_model: Path, tmp_path: Path) -> None:
    import mlflow.pyfunc

    from textlstm.tracking.model_logging import save_pyfunc

    save_pyfunc(tiny_model, tmp_path / "model")
    texts = ["goal match", None, "bank", *(f"actor {number}" for number in range(200))]
    table = spark.createDataFrame([(number, text) for number, text in enumerate(texts)], "number int, text string")
    classify = mlflow.pyfunc.spark_udf(spark, str(tmp_path / "model"), env_manager="local", result_type=RESULT)
    rows = table.repartition(4).select("number", classify(table.text).alias("found")).collect()
    found = {row.number: row.found for row in rows}
    expected = TextClassifier.load(tiny_model).predict([text or "" for text in texts])
    assert [found[number].label for number in range(len(texts))] == [prediction.label for prediction in expected]
    assert found[1].decision == "empty"
    probabilities = [found[number].probability for number in range(len(texts))]
    assert probabilities == pytest.approx([prediction.probability for prediction in expected], abs=1e-6)
