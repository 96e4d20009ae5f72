"""Aggregates by the AWS Labs library aws_kinesis_agg, which aggregates a single record too, and without regard to shards."""

import base64
import json
import sys

from aws_kinesis_agg.aggregator import RecordAggregator


def base64_of(data):
    return base64.b64encode(data).decode()


sent = [("alone", None, b"one")]
sent += [("key %d" % (n % 7), None, ('{"number":%d}' % n).encode()) for n in range(50)]
sent += [("explicit", str(n), b"") for n in (0, 2**127 - 1, 2**127, 2**128 - 1)]
sent += [("clé ключ 键", None, "données 数据".encode())]

aggregator = RecordAggregator()
records = []
for number, (key, hash_key, data) in enumerate(sent):
    aggregator.add_user_record(key, data, hash_key)
    if number in (0, len(sent) - 1):
        outer_key, _, packed = aggregator.clear_and_get().get_contents()
        records.append(
            {
                "shardId": "shardId-000000000000",
                "sequenceNumber": str(10**55 + number),
                "partitionKey": outer_key.decode() if isinstance(outer_key, bytes) else outer_key,
                "data": base64_of(packed),
            }
        )

capture = {
    "shards": [{"shardId": "shardId-000000000000", "startingHashKey": "0", "endingHashKey": str(2**128 - 1)}],
    "sent": [
        {"partitionKey": key, **({"explicitHashKey": hash_key} if hash_key else {}), "data": base64_of(data)}
        for key, hash_key, data in sent
    ],
    "records": records,
}
json.dump(capture, sys.stdout, separators=(",", ":"))
print()
