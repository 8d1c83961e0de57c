package metrics

// Family is a metric with all its label values.
type Family int

// The families, in the order of their names' groups. Each has a row in Families.
const (
	Info Family = iota
	AppState
	Tasks
	WorkerTime
	Rebalances
	SourceRecords
	SourceBytes
	SourceLagRecords
	SourceLagSeconds
	BufferedBytes
	NodeRecords
	RecordsDropped
	E2ELatency
	RecordLateness
	SinkRecords
	SinkBytes
	ProducerBufferedBytes
	Commits
	CommitSeconds
	RestoreRecords
	RestoreRemaining
	StoreEntries
	StoreDirtyBytes
	CacheMisses
	EngineDiskBytes
	EngineMemtableBytes
	EngineCompactionDebt
	EngineIngestedTables
	Errors
	Retries
	RetryPending
	DLQRecords
	DLQBytes
	LastError
	Consumed
	Completed
	DeadLettered
	Skipped
	numFamilies
)

type kind uint8

const (
	counter kind = iota
	gauge
	histogram
)

type family struct {
	name   string
	help   string
	kind   kind
	labels []string
}

// families: base units, counters end in _total.
var families = [numFamilies]family{
	Info:                  {"oxbow_info", "Always 1. What runs.", gauge, []string{"application_id", "version", "topology_hash"}},
	AppState:              {"oxbow_app_state", "1 for the state the app is in, else 0.", gauge, []string{"state"}},
	Tasks:                 {"oxbow_tasks", "Tasks of this instance by state.", gauge, []string{"state"}},
	WorkerTime:            {"oxbow_worker_time_seconds_total", "Where the time of workers went: process (tasks run), events (deliveries, acknowledgements, commits), idle. The rate of a phase is its share.", counter, []string{"worker", "phase"}},
	Rebalances:            {"oxbow_rebalances_total", "Assignments that this instance got.", counter, nil},
	SourceRecords:         {"oxbow_source_records_total", "Records processed by input partition.", counter, []string{"topic", "partition"}},
	SourceBytes:           {"oxbow_source_bytes_total", "Bytes of batches processed by input partition, uncompressed.", counter, []string{"topic", "partition"}},
	SourceLagRecords:      {"oxbow_source_lag_records", "Offsets between the last processed record and the end of the partition.", gauge, []string{"topic", "partition"}},
	SourceLagSeconds:      {"oxbow_source_lag_seconds", "Age of the last processed record by its timestamp. Sampled once per run of a task.", gauge, []string{"topic", "partition"}},
	BufferedBytes:         {"oxbow_source_buffered_bytes", "Fetched bytes that wait for their task.", gauge, nil},
	NodeRecords:           {"oxbow_node_records_total", "Records that entered a source, sink, or node with state.", counter, []string{"node"}},
	RecordsDropped:        {"oxbow_records_dropped_total", "Records that an operator dropped by its rules, without a failure.", counter, []string{"node", "reason"}},
	E2ELatency:            {"oxbow_e2e_latency_seconds", "From a record's timestamp to its processing. Sampled once per run of a task.", histogram, []string{"topic"}},
	RecordLateness:        {"oxbow_record_lateness_seconds", "How far a record's timestamp lies behind its task's stream time. Sampled once per run of a task.", histogram, nil},
	SinkRecords:           {"oxbow_sink_records_total", "Records acknowledged by output topic, changelogs included.", counter, []string{"topic"}},
	SinkBytes:             {"oxbow_sink_bytes_total", "Bytes of batches acknowledged by output topic, changelogs included, before compression.", counter, []string{"topic"}},
	ProducerBufferedBytes: {"oxbow_producer_buffered_bytes", "Bytes handed to the producers and not acknowledged.", gauge, nil},
	Commits:               {"oxbow_commits_total", "Commits by outcome.", counter, []string{"outcome"}},
	CommitSeconds:         {"oxbow_commit_seconds", "From the start of a commit to its offsets' acknowledgement.", histogram, nil},
	RestoreRecords:        {"oxbow_restore_records_total", "Changelog records restored.", counter, []string{"store"}},
	RestoreRemaining:      {"oxbow_restore_remaining_records", "Changelog offsets still to restore.", gauge, []string{"store", "partition"}},
	StoreEntries:          {"oxbow_store_entries", "Keys in the cache of a store.", gauge, []string{"store"}},
	StoreDirtyBytes:       {"oxbow_store_dirty_bytes", "Bytes that the next commit writes.", gauge, []string{"store"}},
	CacheMisses:           {"oxbow_cache_misses_total", "Look-ups that went to the engine.", counter, []string{"store"}},
	EngineDiskBytes:       {"oxbow_engine_disk_bytes", "Bytes of the state directory's tables and logs.", gauge, nil},
	EngineMemtableBytes:   {"oxbow_engine_memtable_bytes", "Bytes of the engine's memtables.", gauge, nil},
	EngineCompactionDebt:  {"oxbow_engine_compaction_debt_bytes", "Bytes that compactions have yet to write.", gauge, nil},
	EngineIngestedTables:  {"oxbow_engine_ingested_tables_total", "Tables ingested by restores.", counter, nil},
	Errors:                {"oxbow_errors_total", "Failed attempts of units by what became of them.", counter, []string{"stage", "node", "class", "action"}},
	Retries:               {"oxbow_retries_total", "Attempts after a failure.", counter, []string{"node"}},
	RetryPending:          {"oxbow_retry_pending", "Units that wait for their next attempt.", gauge, nil},
	DLQRecords:            {"oxbow_dlq_records_total", "Dead letters written.", counter, []string{"topic", "node", "stage"}},
	DLQBytes:              {"oxbow_dlq_bytes_total", "Bytes of keys, values and headers of dead letters written.", counter, []string{"topic"}},
	LastError:             {"oxbow_last_error_timestamp_seconds", "When a unit failed last, in seconds since the epoch; 0 if none did.", gauge, nil},
	Consumed:              {"oxbow_records_consumed_total", "Records whose unit has ended. consumed = completed + dead-lettered + skipped.", counter, nil},
	Completed:             {"oxbow_records_completed_total", "Records whose unit succeeded.", counter, nil},
	DeadLettered:          {"oxbow_records_dead_lettered_total", "Records whose unit was set aside.", counter, nil},
	Skipped:               {"oxbow_records_skipped_total", "Records that a policy or a function skipped.", counter, nil},
}

// Name is the Prometheus name of f.
func (f Family) Name() string { return families[f].name }
