// Package topology is the compiled graph: nodes, sub-topologies, stores and internal topics.
package topology
