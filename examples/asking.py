"""Judge calls with a scorer, and ask from Python for those that it found right, the last of the alphabet first."""

import kibitz
from kibitz import attributes, calls, feedback

PROJECT = "acme/asking"
kibitz.init(PROJECT)


@kibitz.op
def my_model(x: int) -> str:
    return ["a", "x", "c", "y"][x]


@kibitz.op(kind="scorer")
def my_scorer(x: int, output: str) -> dict[str, object]:
    expected = ["a", "b", "c", "d"][x]
    return {"model_output": output, "match": output == expected}


with kibitz.attributes(env="test"):
    for x in range(4):
        _, call = my_model.call(x)
        call.apply_scorer_sync(my_scorer)

# What this program has recorded is delivered before the question.
judged = calls(PROJECT).where((calls.op == "my_model") & (attributes.env == "test"))
right = judged.where(feedback("my_scorer").output.match == True)  # noqa: E712
ordered = right.sort(feedback("my_scorer").output.model_output.desc())

print(ordered)
assert [call.output for call in ordered] == ["c", "a"]
assert judged.where(~feedback("my_scorer")).count() == 0
assert judged.where("feedback.my_scorer.output.match = false").count() == 2

print("as words: ", ordered.to_text())
print("as JSON:  ", ordered.to_json()["query"])
