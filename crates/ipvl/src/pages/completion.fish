# Completion of ipvl for fish: asks the command itself what may come next.
complete -c ipvl -f -a '(ipvl complete -- (commandline -opc)[2..] (commandline -ct | string collect --allow-empty) 2>/dev/null)'
