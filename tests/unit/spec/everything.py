"""Two descriptions that have every key between them."""

from __future__ import annotations

MOST = """
name: everything
description: Every part of a description, as far as they go together
owner: us
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
timezone: Europe/Berlin
sources:
  asked:
    postgres:
      conn_id: shop
      table: orders
      time_column: ordered_at
      types: {price: "decimal(12, 2)", ordered_at: time %d.%m.%Y %H:%M in Europe/Berlin}
      outside: quarantine
      columns: [ordered_at, price, clerk]
      timeout: 5 minutes
      changed: {column: updated_at, within: 10 days, overlap: 0 seconds, key: [order]}
    complete: {sql: sql/complete.sql, every: 1 minute, within: 2 hours}
  paged:
    http:
      conn_id: weather
      path: "/v1/{station}"
      method: POST
      headers: {Accept: text/csv}
      body: {day: "{partition}"}
      for_each: {station: [1, 2]}
      parallel: 2
      timezone: UTC
      rate: 5 per second
      records: a.b
      total: meta.total
      paging: {page: {in: body, param: page, first: 0, size_param: size, size: 10, more: more}}
      max_bytes: 1 GB
    complete: {field: done, path: /v1/done, params: {day: "{partition}"}, equals: true}
  filed:
    file:
      path: "days/{partition:%Y/%m/%d}.csv"
      time_column: {from: {year: y, month: m, day: d}, name: at, zone: UTC}
      csv: {encoding: cp1252, delimiter: ";", quote: null, nulls: [NA, -1], decimal: ",", thousands: "."}
    complete: {file: "days/{partition}.done"}
  sheets: {file: {path: clerks.xlsx, excel: {sheet: 2, range: "B3:F"}, row_number: row}}
  short: {http: {conn_id: weather, path: "/{partition}", next: cursor}}
  lake: {delta: {path: s3://lake/orders, version: 3, conn_id: lake}}
  ice: {iceberg: {conn_id: catalog, table: shop.events, snapshot_id: 7}}
join:
  - {left: asked, right: paged, on: clerk, how: inner, expect: many_to_one}
  - {left: asked, right: filed, on: [clerk, shop]}
  - {left: asked, right: sheets, on: {clerk: name}}
  - {left: asked, right: short, on: clerk}
  - {left: asked, right: lake, on: clerk}
  - {left: asked, right: ice, on: clerk}
key: [order]
validation: {suite: expectations.yaml, max_quarantined: 0.1, schema_change: evolve}
features: {function: "features.py:build", look_back: 28 days}
task: classification
target: returned
positive: true
labels: {source: {sql: {conn_id: shop, sql: sql/labels.sql}}, delay: 30 days}
training:
  window: since change, at most 24 months
  sample: 1000000 rows
  minimum: 30
  holdout: 28 days
  metric: roc_auc
  weight: units
  balance: true
  recency: half-life 60 days
  calibrate: isotonic
  decision: {costs: {false_negative: 5, false_positive: 1}}
  seed: 3
  schedule: "0 4 * * 0"
  candidates:
    - estimator: sklearn.linear_model.LogisticRegression
      params: {max_iter: 100}
      preprocess:
        - sklearn.impute.SimpleImputer
        - {step: sklearn.preprocessing.StandardScaler, params: {with_mean: false}, columns: numbers}
      search: {C: [0.01, 100, log], penalty: {choices: [l1, l2]}}
      recency: none
    - {estimator: sklearn.ensemble.RandomForestClassifier, search: default}
    - pretrained:
        key: models/one.onnx
        sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
  tuning: {trials: 5, within: 30 minutes, folds: 4, gap: 1 day}
gate:
  limits: {roc_auc: {min: 0.7}}
  champion: {test: superiority, margin: 1%, confidence: 90%, rounds: 500, block: 7 days}
  slices: [shop, {column: clerk, margin: 5%, minimum: 10, required: [anna, 1, true]}]
  fairness:
    - {column: region, rate: tpr, positive: true, min_ratio: 80%}
    - {column: region, metric: accuracy, max_difference: 0.1, minimum: 20}
  calibration: 0.05
  resources: {latency: {row: 5, thousand_rows: 50}, size: 50 MB, memory: 1 GB}
  approval: {when: inconclusive, within: 2 days, by: [ada]}
  shadow: 1000 rows
monitoring:
  metrics: [accuracy]
  health: {volume: 30%, quarantined: 1%, missing: 2 partitions, age: 12 months}
  retrain:
    on: [performance, drift, coverage]
    when: 2 of 3 partitions
    cooldown: 5
    budget: 6 per 3 months
    refusals: 2
    half_open: 30 days
  performance: {tolerance: 20%, over: 5 partitions, cusum: {k: 0.5, h: 8}, slices: [shop]}
  bias: {k: 2%, h: 1, unseen: 10%}
  coverage: {tolerance: 25%, run_length: 5 years}
  drift: {reference: trailing, false_discovery: 1%, rows: 9, trailing: 9 days, share: 50%, psi: 1, joint: 0.7}
  renewal: {unseen: 30%, gain: 1%}
  skew: {inputs: 1%, predictions: 0}
  staleness: {unseen: 20%}
scoring: {conn_id: shop, table: predictions}
serving:
  look_back: {conn_id: shop, max_age: 2 days, stale: allow}
  log: {share: 5%, keep: 30 days, drop: [email]}
  shadow: newest
explain: 3
sets: [90%, 0.99]
models: {signing: keys, require_signature: true, retention: 12 months}
mlflow: {conn_id: mlflow, experiment: returns}
reports: {to: [mail], weekly: [mail]}
maintenance: {keep: 2 years, schedule: "0 4 * * 6"}
alerts: {to: [{conn_id: mail, at_least: info}], deadline: "06:00", limits: {ingest: 1 hour}}
"""

OTHERS = """
name: others
description: What excludes keys of the other description
owner: us
schedule: "@daily"
start: 2024-01-01
partition: weekly
week_starts: sunday
sources:
  cursor:
    http:
      conn_id: shop
      path: /orders
      params: {week: "{partition}"}
      time_column: {from: {date: day, hour: h, minute: m, second: s}}
      format: json
      paging: {cursor: {in: header, param: cursor, path: meta.next}}
      max_pages: 10
      timeout: 1 hour
  offset: {http: {conn_id: s, path: "/{partition}", paging: {offset: {param: o, limit_param: l, limit: 9}}}}
  link: {http: {conn_id: shop, path: "/{partition}", paging: {link: {path: next}}}}
  header: {http: {conn_id: shop, path: "/{partition}", paging: {header: {more: more}}}}
  csv:
    http:
      conn_id: shop
      path: "/{partition}"
      format: csv
      csv: {quote: "'", comment: "#", skip: 1, columns: [at]}
  file: {file: {path: "s3://bucket/{partition}", conn_id: s3, format: csv, delimiter: ";"}}
  ice: {iceberg: {path: "s3://bucket/{partition}", columns: [at]}}
join:
  - {left: cursor, right: offset, on: at}
  - {left: cursor, right: link, on: at}
  - {left: cursor, right: header, on: at}
  - {left: cursor, right: csv, on: at}
  - {left: cursor, right: file, on: at}
  - {left: cursor, right: ice, on: at}
features:
  sets: [shared]
  lookups:
    s: {pipeline: stations, on: {station: id}, columns: [docks], known_at: at, max_age: 7 days}
task: regression
target: sold
intervals: {levels: [90%, 0.99], adapt: true}
training:
  sample: 10%
  metric: mae
  candidates: [{estimator: sklearn.linear_model.Ridge, target_transform: log1p}]
gate: {limits: {mae: {max: 10}}, approval: {when: always}}
"""
