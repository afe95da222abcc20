"""What lies on the topics: golden records of every event type, read by us and by the CloudEvents SDK."""

import jsonschema_rs
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat

from shared.contracts.envelope import Message, Undecodable, decode
from shared.contracts.event import events
from shared.contracts.schemas import schema_of
from shared.contracts.topics import agency_topic, topic_of
from tests.contract.goldens import FOLDER, NAMES, class_of, golden


def test_every_event_type_has_a_golden_message() -> None:
    """Each published type has a record that later releases must still read, and none is left of a type that is gone."""
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_golden_message_is_read(name: str) -> None:
    """A record written by an earlier release decodes to its class with every value it had."""
    record = golden(name)
    received = record.received()
    assert type(received.event) is class_of(name)
    decoded = received.event.model_dump(mode="json")
    assert {field: decoded[field] for field in record.value} == record.value
    assert received.envelope.dossier == record.key
    assert received.envelope.sequence == int(record.headers["ce_sequence"])


@pytest.mark.parametrize("name", NAMES)
def test_golden_message_is_written_again_the_same(name: str) -> None:
    """An envelope read from a record gives the same key and headers when it is published again (a refill)."""
    record = golden(name)
    again = record.received().envelope.message(record.topic, b"{}")
    assert again.key == record.key.encode()
    assert {header: value.decode() for header, value in again.headers} == record.headers


@pytest.mark.parametrize("name", NAMES)
def test_golden_message_lies_on_its_topic_and_keeps_its_schema(name: str) -> None:
    """A record lies on the topic of its event and its data fit the published JSON Schema."""
    record = golden(name)
    topic = topic_of(class_of(name))
    assert record.topic == (agency_topic("debt-office") if "*" in topic else topic)
    jsonschema_rs.validator_for(schema_of(class_of(name))).validate(dict(record.value))


@pytest.mark.parametrize("name", NAMES)
def test_unknown_fields_are_ignored(name: str) -> None:
    """A field that a later release added changes nothing for this one."""
    assert golden(name).received(added_later={"deep": [1]}).event == golden(name).received().event


@pytest.mark.parametrize("name", NAMES)
def test_cloudevents_sdk_reads_our_messages(name: str) -> None:
    """The CloudEvents SDK's Kafka binding sees the attributes and the data that we wrote."""
    record = golden(name)
    message = record.message()
    assert message.value is not None
    read = from_binary(KafkaMessage(dict(message.headers), message.key, message.value), JSONFormat())
    assert (read.get_specversion(), read.get_type()) == ("1.0", class_of(name).type)
    assert (read.get_id(), read.get_subject()) == (record.headers["ce_id"], record.headers["ce_subject"])
    assert read.get_datacontenttype() == "application/json"
    assert read.get_dataschema() == f"https://dossierbus.org/schemas/{class_of(name).type}.json"
    assert read.get_extension("sequence") == record.headers["ce_sequence"]
    assert read.get_extension("partitionkey") == record.key
    assert read.get_data() == record.value


@pytest.mark.parametrize("name", ["DossierSubmitted", "PaymentSucceeded", "SharedDossierClosed"])
def test_we_read_what_the_cloudevents_sdk_writes(name: str) -> None:
    """A record that the SDK wrote from the same attributes decodes to the same event and envelope."""
    record = golden(name)
    message = record.message()
    assert message.value is not None
    sdk = from_binary(KafkaMessage(dict(message.headers), message.key, message.value), JSONFormat())
    written = to_binary(sdk, JSONFormat())
    key = written.key.encode() if isinstance(written.key, str) else written.key
    received = decode(Message(record.topic, key, written.value, list(written.headers.items())))
    assert received is not None
    assert received.event == record.received().event
    assert received.envelope.id == record.received().envelope.id


def test_unknown_type_is_skipped() -> None:
    """An event type that this release does not know is no error."""
    message = golden("DossierSubmitted").message()
    headers = [(n, b"org.dossierbus.dossier.invented.v9" if n == "ce_type" else v) for n, v in message.headers]
    assert decode(Message(message.topic, message.key, message.value, headers)) is None


@pytest.mark.parametrize("header", ["ce_id", "ce_source", "ce_subject", "ce_sequence", "ce_time", "ce_partitionkey"])
def test_missing_attribute_is_refused(header: str) -> None:
    """A record of ours without a needed attribute cannot be read."""
    message = golden("DossierSubmitted").message()
    headers = [(name, value) for name, value in message.headers if name != header]
    with pytest.raises(Undecodable):
        decode(Message(message.topic, message.key, message.value, headers))


@pytest.mark.parametrize("event", events().values(), ids=lambda event: event.__name__)
def test_no_float_and_no_bare_number_of_money(event: type) -> None:
    """Events hold no floats: canonical JSON and money in minor units need none."""
    assert '"number"' not in str(schema_of(event)).replace("'", '"')
