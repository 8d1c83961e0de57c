package topology

import (
	"cmp"
	"fmt"
	"html"
	"slices"
	"strings"
	"unicode/utf8"
)

// Sizes of a drawing, in pixels.
const (
	svgChar    = 7.3 // a letter of the font
	svgPad     = 12  // in a box, left and right
	svgHigh    = 28  // a box
	svgRow     = 46
	svgBetween = 56 // columns
	svgMargin  = 20
	svgTitle   = 26
)

const svgStyle = `text{font:12px monospace;fill:#1f2937}.t{font-weight:bold}.sub{fill:#f8fafc;stroke:#cbd5e1}` +
	`.topic{fill:#fef3c7;stroke:#d97706}.node{fill:#e0f2fe;stroke:#0284c7}.store{fill:#dcfce7;stroke:#16a34a}` +
	`.way{fill:none;stroke:#475569}.use{fill:none;stroke:#16a34a;stroke-dasharray:4 3}`

// SVG returns the topology as a picture: sub-topologies one below the other; in each, records go from left to right, from the
// topics that are read to those that are written. Topics are boxes, nodes have round ends, stores are cylinders below the nodes
// that use them. A repartition topic is drawn where it is written and where it is read.
func (t *Topology) SVG() string {
	var body strings.Builder
	y, wide := float64(svgMargin), 0.0
	for _, sub := range t.Subs {
		s := t.sketch(sub)
		s.place()
		s.draw(&body, y, subTitle(sub))
		y += s.high + svgMargin
		wide = max(wide, s.wide)
	}
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\">\n<style>%s</style>\n"+
		"<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">"+
		"<path d=\"M0 0L8 4L0 8z\" fill=\"#475569\"/></marker></defs>\n%s</svg>\n",
		wide+2*svgMargin, y, wide+2*svgMargin, y, svgStyle, body.String())
}

// sketch is the picture of one sub-topology.
type sketch struct {
	boxes      []*box
	wide, high float64
}

// box is a topic, a node or a store.
type box struct {
	class, text, title string
	column             int
	from               []*box // what leads here
	users              []*box // of a store
	row                int
	x, y, wide         float64
}

// sketch collects what is to be drawn of a sub-topology, each box with its column.
func (t *Topology) sketch(sub *Sub) *sketch {
	s := &sketch{}
	add := func(class, text, title string, column int) *box {
		b := &box{class: class, text: text, title: title, column: column, wide: svgChar*float64(utf8.RuneCountInString(text)) + 2*svgPad}
		s.boxes = append(s.boxes, b)
		return b
	}
	nodes, stores := map[*Node]*box{}, map[string]*box{}
	for _, n := range sub.Nodes { // parents first
		column := 1
		for _, p := range n.Parents {
			column = max(column, nodes[p].column+1)
		}
		topics := t.topicsOf(n)
		at := func(name string, column int) *box {
			i := slices.IndexFunc(s.boxes, func(b *box) bool { return b.class == "topic" && b.text == name && b.column == column })
			if i >= 0 {
				return s.boxes[i]
			}
			return add("topic", name, "topic", column)
		}
		var read []*box
		if n.Kind == KindSource {
			for _, topic := range topics {
				read = append(read, at(topic, 0))
			}
		}
		b := add("node", n.Name, lastElement(n.Site), column)
		b.from, nodes[n] = read, b
		for _, p := range n.Parents {
			b.from = append(b.from, nodes[p])
		}
		if n.Kind == KindSink {
			for _, topic := range topics {
				to := at(topic, column+1)
				to.from = append(to.from, b)
			}
		}
		for _, name := range n.Stores {
			if stores[name] == nil {
				stores[name] = add("store", name, "store", column)
			}
			stores[name].users = append(stores[name].users, b)
		}
	}
	return s
}

// place gives every box a row, near what leads to it, and coordinates. A column is as wide as its widest box.
func (s *sketch) place() {
	columns := 0
	for _, b := range s.boxes {
		columns = max(columns, b.column+1)
	}
	x, rows := float64(svgMargin), 0
	for c := range columns {
		var in []*box
		widest := 0.0
		for _, b := range s.boxes {
			if b.column == c {
				in = append(in, b)
				widest = max(widest, b.wide)
			}
		}
		slices.SortStableFunc(in, func(a, b *box) int { return cmp.Compare(a.wish(), b.wish()) })
		next := 0
		for _, stores := range []bool{false, true} { // stores below the others: what uses them has its row by then
			for _, b := range in {
				if (b.class == "store") == stores {
					b.row = max(next, int(b.wish()+0.5))
					next = b.row + 1
					b.x, b.y = x+(widest-b.wide)/2, float64(svgTitle+b.row*svgRow)
				}
			}
		}
		if rows = max(rows, next); widest > 0 {
			x += widest + svgBetween
		}
	}
	s.wide, s.high = x-svgBetween+svgMargin, float64(svgTitle+rows*svgRow)
}

// wish is the row that a box would have by itself: that of what leads to it, on average; of a store, below its first user.
func (b *box) wish() float64 {
	if len(b.users) > 0 {
		return float64(b.users[0].row + 1)
	}
	sum := 0.0
	for _, f := range b.from {
		sum += float64(f.row)
	}
	return sum / float64(max(len(b.from), 1))
}

func (s *sketch) draw(w *strings.Builder, y float64, title string) {
	fmt.Fprintf(w, "<g transform=\"translate(%d %.0f)\">\n<rect class=\"sub\" width=\"%.0f\" height=\"%.0f\" rx=\"6\"/>\n<text class=\"t\" x=\"%d\" y=\"17\">%s</text>\n",
		svgMargin, y, s.wide, s.high, svgMargin/2, html.EscapeString(title))
	for _, b := range s.boxes {
		for _, f := range b.from {
			x1, x2, y1, y2 := f.x+f.wide, b.x, f.y+svgHigh/2, b.y+svgHigh/2
			mid := (x1 + x2) / 2
			fmt.Fprintf(w, "<path class=\"way\" marker-end=\"url(#a)\" d=\"M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f\"/>\n", x1, y1, mid, y1, mid, y2, x2, y2)
		}
		for _, u := range b.users {
			fmt.Fprintf(w, "<path class=\"use\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", u.x+u.wide/2, u.y+svgHigh, b.x+b.wide/2, b.y)
		}
	}
	for _, b := range s.boxes {
		b.draw(w)
	}
	w.WriteString("</g>\n")
}

func (b *box) draw(w *strings.Builder) {
	fmt.Fprintf(w, "<g><title>%s</title>", html.EscapeString(b.title))
	switch b.class {
	case "store":
		fmt.Fprintf(w, "<path class=\"store\" d=\"M%.1f %.1fv%da%.1f 4 0 0 0 %.1f 0v-%da%.1f 4 0 0 0 -%.1f 0a%.1f 4 0 0 0 %.1f 0\"/>",
			b.x, b.y+4, svgHigh-8, b.wide/2, b.wide, svgHigh-8, b.wide/2, b.wide, b.wide/2, b.wide)
	default:
		round := 2
		if b.class == "node" {
			round = svgHigh / 2
		}
		fmt.Fprintf(w, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"%d\"/>", b.class, b.x, b.y, b.wide, svgHigh, round)
	}
	fmt.Fprintf(w, "<text x=\"%.1f\" y=\"%.1f\">%s</text></g>\n", b.x+svgPad, b.y+svgHigh/2+5, html.EscapeString(b.text))
}
