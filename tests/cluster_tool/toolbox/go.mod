module factotum.local/toolbox

go 1.25.0
