"""librdkafka's mock cluster, in this process: the library that confluent-kafka brings has it, and ctypes reaches it.

It answers Produce without a look at sequences: what an idempotent producer sends again after a lost answer may be there twice, and of
several requests on their way a later one is taken where an earlier one was refused.
Of JoinGroup and SyncGroup it reads the versions that librdkafka sends; in the flexible ones above it loses its way in arrays.
"""
import ctypes
from pathlib import Path

import confluent_kafka  # loads the library, whose name has a hash in it

HANDLE, TEXT, I16, I32 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int16, ctypes.c_int32
PRODUCER, JOIN_GROUP, SYNC_GROUP = 0, 11, 14
ERROR_TEXT_BYTES = 512


def _library():
    found = list((Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs").glob("librdkafka*.so*"))
    assert len(found) == 1, found
    library = ctypes.CDLL(str(found[0]))
    for name, result, arguments in [
            ("rd_kafka_conf_new", HANDLE, []),
            ("rd_kafka_conf_set", I32, [HANDLE, TEXT, TEXT, TEXT, ctypes.c_size_t]),
            ("rd_kafka_new", HANDLE, [I32, HANDLE, TEXT, ctypes.c_size_t]),
            ("rd_kafka_destroy", None, [HANDLE]),
            ("rd_kafka_mock_cluster_new", HANDLE, [HANDLE, I32]),
            ("rd_kafka_mock_cluster_destroy", None, [HANDLE]),
            ("rd_kafka_mock_cluster_bootstraps", TEXT, [HANDLE]),
            ("rd_kafka_mock_topic_create", I32, [HANDLE, TEXT, I32, I32]),
            ("rd_kafka_mock_partition_set_leader", I32, [HANDLE, TEXT, I32, I32]),
            ("rd_kafka_mock_coordinator_set", I32, [HANDLE, TEXT, TEXT, I32]),
            ("rd_kafka_mock_broker_set_down", I32, [HANDLE, I32]),
            ("rd_kafka_mock_broker_set_up", I32, [HANDLE, I32]),
            ("rd_kafka_mock_broker_set_rtt", I32, [HANDLE, I32, I32]),
            ("rd_kafka_mock_push_request_errors_array", None, [HANDLE, I16, ctypes.c_size_t, ctypes.POINTER(I32)]),
            ("rd_kafka_mock_set_apiversion", I32, [HANDLE, I16, I16, I16]),
            ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [HANDLE, I32])]:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class MockCluster:
    """With `with`: it ends then.  Methods are the library's functions: mock.broker_set_down(1).  Has a topic."""

    def __init__(self, brokers, topic, partitions):
        self._library = _library()
        text = ctypes.create_string_buffer(ERROR_TEXT_BYTES)
        conf = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(conf, b"log_level", b"3", text, len(text))  # it has no bootstrap.servers, and need not
        self._client = self._library.rd_kafka_new(PRODUCER, conf, text, len(text))
        assert self._client, text.value.decode()
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, brokers)
        assert self._cluster, "no mock cluster"
        self.set_apiversion(JOIN_GROUP, 0, 5)
        self.set_apiversion(SYNC_GROUP, 0, 3)
        self.group_initial_rebalance_delay_ms(100)
        self.topic_create(topic, partitions, brokers)
        self.bootstrap = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def __getattr__(self, name):
        function = getattr(self._library, f"rd_kafka_mock_{name}")

        def call(*args):
            error = function(self._cluster, *(a.encode() if isinstance(a, str) else a for a in args))
            assert not error, f"{name}{args}: {error}"
        return call

    def fail(self, api_key, *codes):
        """The next requests of the API, of whatever broker, are answered so, one after another; 0 is served."""
        self.push_request_errors_array(api_key, len(codes), (I32 * len(codes))(*codes))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)
