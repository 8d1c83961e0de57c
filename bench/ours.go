package main

var oursConsume, oursPass, oursCount, oursJoin, oursRestore loop
