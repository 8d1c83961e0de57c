package metrics

import "strings"

// Snapshot is what an app counted so far. It is built for one scrape.
type Snapshot struct {
	samples    [numFamilies][]sample
	histograms [numFamilies][]histogramSample
	index      [numFamilies]map[string]int // labels → sample
}

type sample struct {
	value  float64
	labels []string
}

type histogramSample struct {
	Histogram
	labels []string
}

// Add adds a value to a family. Values of equal labels add up, so that workers are folded by adding each.
func (s *Snapshot) Add(f Family, value float64, labels ...string) {
	if len(labels) != len(families[f].labels) || families[f].kind == histogram {
		panic("metrics: " + families[f].name + " added with the wrong labels")
	}
	if i, ok := s.find(f, labels, len(s.samples[f])); ok {
		s.samples[f][i].value += value
		return
	}
	s.samples[f] = append(s.samples[f], sample{value, labels})
}

// AddHistogram adds a histogram to a family. Those of equal labels are merged.
func (s *Snapshot) AddHistogram(f Family, h Histogram, labels ...string) {
	if len(labels) != len(families[f].labels) || families[f].kind != histogram {
		panic("metrics: " + families[f].name + " added with the wrong labels")
	}
	if i, ok := s.find(f, labels, len(s.histograms[f])); ok {
		s.histograms[f][i].merge(&h)
		return
	}
	s.histograms[f] = append(s.histograms[f], histogramSample{h, labels})
}

// find returns the sample of these labels; if there is none, it notes that the next one will be it.
func (s *Snapshot) find(f Family, labels []string, next int) (i int, ok bool) {
	if s.index[f] == nil {
		s.index[f] = map[string]int{}
	}
	key := strings.Join(labels, "\x00")
	if i, ok = s.index[f][key]; !ok {
		s.index[f][key] = next
	}
	return i, ok
}

// Bounds of every histogram, in seconds.
var bounds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600}

// Histogram counts seconds in fixed buckets. It has no lock: one goroutine writes, and hands out copies.
type Histogram struct {
	counts [len(bounds) + 1]uint64
	sum    float64
}

// Observe counts one value; a negative one (clocks differ) counts as zero.
func (h *Histogram) Observe(seconds float64) {
	seconds = max(seconds, 0)
	i := 0
	for i < len(bounds) && seconds > bounds[i] {
		i++
	}
	h.counts[i]++
	h.sum += seconds
}

// Count is how many values were observed.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.counts {
		n += c
	}
	return n
}

func (h *Histogram) merge(o *Histogram) {
	for i := range h.counts {
		h.counts[i] += o.counts[i]
	}
	h.sum += o.sum
}
