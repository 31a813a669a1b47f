"""Programs that are wrong, one a function: `test_checkers.py` says which checker misses which. Nothing here runs.

A checker that refuses a program has errors on lines with a mark, and on no others. The docstring of a program is its name
in the table of docs/how-to/type-checkers.md.
"""

from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold import IPC, ConnectError, InvalidName, Message, Name, Pipeline, Process, ReceiveError, TimedOut, cases, pipeline
from ipcfold.pointfree import ask, flat_map, send, wait

# Chains


def forgotten_flat_map() -> None:
    """`map` where a step needs `flat_map`"""
    pipeline(Name.of("x")).map(IPC().get).flat_map(wait())  # refused


def step_in_the_wrong_place() -> None:
    """a step that takes another value"""
    pipeline(Name.of("x")).flat_map(send(Message.text("ping")))  # refused


def step_without_its_call() -> None:
    """`flat_map(wait)` instead of `flat_map(wait())`"""
    pipeline(Name.of("x")).flat_map(IPC().get).flat_map(wait)  # refused


def plain_step() -> None:
    """`flat_map` with a function that returns no `Result`"""
    pipeline(Name.of("x")).flat_map(str)  # refused


def no_result_to_start_from() -> None:
    """`pipeline` with a value that is no `Result`"""
    pipeline(Name("x"))  # refused


def wrong_argument() -> None:
    """a wrong argument to `ask`"""
    pipeline(Name.of("x")).flat_map(IPC().get).flat_map(ask("ping"))  # refused


def result_as_value() -> bytes:
    """the `Result` used as its value"""
    return pipeline(Name.of("x")).flat_map(IPC().get).flat_map(wait()).result.content  # refused


def chain_as_value() -> bytes:
    """the `Pipeline` used as its value"""
    return pipeline(Name.of("x")).flat_map(IPC().get).flat_map(wait()).content  # refused


def hidden_error() -> Pipeline[Message, InvalidName]:
    """a return type that leaves errors of a `Pipeline` out"""
    return pipeline(Name.of("x")).flat_map(IPC().get).flat_map(wait())  # refused


def hidden_error_of_result() -> Result[Message, InvalidName | ConnectError]:
    """a return type that leaves errors of a `Result` out"""
    return pipeline(Name.of("x")).flat_map(IPC().get).flat_map(wait()).result  # refused


def one_function_for_match(response: Pipeline[Message, ReceiveError]) -> None:
    """`Pipeline.match` without the function for errors"""
    response.match(lambda message: message.content)  # refused


def wrong_function_for_match(response: Pipeline[Message, ReceiveError]) -> None:
    """`Pipeline.match` with a function that takes fewer errors"""

    def late(error: TimedOut) -> bytes:
        return b"late"

    response.match(lambda message: message.content, late)  # refused


def attribute_of_another_error(response: Pipeline[Message, ReceiveError]) -> None:
    """an attribute that not every error has"""
    response.match(lambda message: 0.0, lambda error: error.timeout)  # refused


def assigned(response: Pipeline[Message, ReceiveError]) -> None:
    """an assignment to `Pipeline.result`"""
    response.result = response.result  # refused


# Matches


def forgotten_failure(response: Pipeline[Message, ReceiveError]) -> bytes:  # refused
    """`match cases(result)` without `Failure`, in a function that returns a value"""
    match cases(response.result):  # refused
        case Success(message):
            return message.content


def forgotten_error(response: Pipeline[Message, ReceiveError]) -> bytes:  # refused
    """`match error` without all errors, in a function that returns a value"""
    match cases(response.result):
        case Success(message):
            return message.content
        case Failure(error):
            match error:  # refused
                case TimedOut():
                    return b"late"


def forgotten_failure_of_none(response: Pipeline[Message, ReceiveError]) -> None:
    """`match cases(result)` without `Failure`, in a function that returns `None`"""
    match cases(response.result):  # refused
        case Success(message):
            print(message.content)


def forgotten_failure_of_a_bare_result(result: Result[Message, ReceiveError]) -> None:
    """`match result` without `Failure`"""
    match result:  # refused
        case Success(message):
            print(message.content)


def value_of_a_bare_result(result: Result[Message, ReceiveError]) -> None:
    """an attribute that does not exist, after `match result`"""
    match result:
        case Success(message):
            print(message.contents)  # refused
        case _:
            pass


# Flows


def forgotten_flat_map_in_a_flow() -> None:
    """`flow` with a step that lacks `flat_map`"""
    flow(Name.of("x"), IPC().get, flat_map(wait()))  # refused


def step_in_the_wrong_place_of_a_flow() -> None:
    """`flow` with a step that takes another value"""
    flow(Name.of("x"), flat_map(send(Message.text("ping"))))  # refused


def hidden_error_of_a_flow() -> Result[Message, InvalidName]:
    """`flow` with a return type that leaves errors out"""
    return flow(Name.of("x"), flat_map(IPC().get), flat_map(wait()))  # refused


def result_of_a_flow_as_value() -> Message:
    """`flow`: the `Result` returned as its value"""
    return flow(Name.of("x"), flat_map(IPC().get), flat_map(wait()))  # refused


# Right, and yet refused


def nested_pattern(result: Result[Process | Message, TimedOut]) -> str:  # refused
    """`case Success(Process())` and `case Success(Message())`, which take every success"""
    match cases(result):  # refused
        case Success(Process()):
            return "process"
        case Success(Message()):
            return "message"
        case Failure():
            return "late"


def both_cases_of_a_bare_result(result: Result[Message, TimedOut]) -> str:  # refused
    """`match result` with `case Success()` and `case Failure()`, without `cases`"""
    match result:  # refused
        case Success():
            return "message"
        case Failure():
            return "late"
