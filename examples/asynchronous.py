"""Tasks of asyncio belong to the call that made them; an async scorer judges the answer."""

import asyncio

import kibitz

kibitz.init("acme/async")

POPULATION = {"Lisbon": 545_796, "Porto": 231_800, "Braga": 193_349}


@kibitz.op(kind="tool")
async def look_up(city: str) -> int:
    await asyncio.sleep(0)
    return POPULATION[city]


@kibitz.op(kind="agent")
async def compare(cities: list[str]) -> str:
    numbers = await asyncio.gather(*(look_up(city) for city in cities))
    return max(zip(numbers, cities, strict=True))[1]


@kibitz.op(kind="scorer")
async def correct(output: str, expected: str) -> bool:
    return output == expected


async def main() -> None:
    largest, call = await compare.call(["Porto", "Lisbon", "Braga"])
    scored = await call.apply_scorer(correct, expected="Lisbon")
    print(f"{largest}: {scored.output}")


asyncio.run(main())
