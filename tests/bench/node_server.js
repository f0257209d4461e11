// node_server.js PORT [rr|shared N]: one-byte requests as in protocol.h; alone, or with Node's own cluster.
const cluster = require('cluster');
const net = require('net');
const [port, policy, workers] = process.argv.slice(2);

if (policy && cluster.isPrimary) {
  cluster.schedulingPolicy = policy === 'rr' ? cluster.SCHED_RR : cluster.SCHED_NONE;
  for (let i = 0; i < Number(workers); i++) cluster.fork();
} else {
  const id = (process.pid & 0xffff).toString(16).padStart(4, '0');
  net.createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      const type = String.fromCharCode(data[0]);
      const answer = `${type}${id}\n`;
      if (type >= 'a') socket.end(answer);
      else socket.write(answer);
    });
  }).listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
}
