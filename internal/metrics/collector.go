package metrics

import (
	"sort"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Source is asked for a snapshot at each scrape, from any goroutine.
type Source interface {
	Metrics() *Snapshot
}

// Collector is a prometheus.Collector, named here because other packages do not import client_golang.
type Collector = prometheus.Collector

type collector struct {
	source Source
	descs  [numFamilies]*prometheus.Desc
}

// NewCollector makes a collector to register where the user wants it (M4).
func NewCollector(s Source) Collector {
	c := &collector{source: s}
	for f := range families {
		c.descs[f] = prometheus.NewDesc(families[f].name, families[f].help, families[f].labels, nil)
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.source.Metrics()
	for f := range families {
		kind := prometheus.CounterValue
		if families[f].kind == gauge {
			kind = prometheus.GaugeValue
		}
		for _, m := range s.samples[f] {
			ch <- prometheus.MustNewConstMetric(c.descs[f], kind, m.value, m.labels...)
		}
		for i := range s.histograms[f] {
			h := &s.histograms[f][i]
			buckets, n := map[float64]uint64{}, uint64(0)
			for b, bound := range bounds {
				n += h.counts[b]
				buckets[bound] = n
			}
			n += h.counts[len(bounds)]
			ch <- prometheus.MustNewConstHistogram(c.descs[f], n, h.sum, buckets, h.labels...)
		}
	}
}

// Names lists every family as "name{labels} kind", sorted: the text of the golden file.
func Names() string {
	var lines []string
	for _, f := range families {
		lines = append(lines, f.name+"{"+strings.Join(f.labels, ",")+"} "+f.kind.String())
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n") + "\n"
}
