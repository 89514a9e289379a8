/** The `docker` driver: the containers of docker-compose.yml, one project for each rig. */
import { randomBytes, randomInt } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guardDirectory } from '../../test/support/orphan-guard.js'
import { type ReservedPort, reservePort } from '../../test/support/ports.js'
import { configFile, redisConfig } from '../../test/support/redis-config.js'
import { ContainerNode } from './container-node.js'
import type { Address, RigSettings, Topology } from './contract.js'
import { type ComposeProject, DockerEngine } from './docker-engine.js'
import type { Fleet, NodeSpec, Shipyard } from './fleet.js'

/** Ports inside of the containers. */
const INNER_PORT = { redis: 6379, sentinel: 26_379 } as const
const NETWORK_ATTEMPTS = 20
const NETWORK_TAKEN = /overlap/i

/** The driver on an engine that answers, else one that is started for it. @throws {Error} where there is none. */
export async function dockerShipyard(): Promise<Shipyard> {
  const engine = await DockerEngine.open()
  return {
    name: 'docker',
    description: `image ${engine.image}, Redis ${engine.version}`,
    refusal: () => undefined,
    async raise(topology, specs, settings): Promise<Fleet> {
      const ports = await Promise.all(specs.map(() => reservePort()))
      const project = await createProject(engine, topology, specs, ports)
      const unguard = engine.guard(project)
      const close = async (): Promise<void> => {
        await engine.compose(project, 'down', '--volumes', '--timeout', '0')
        unguard()
        for (const port of ports) port.release()
      }
      try {
        const nodes = await furnish(engine, project, specs, settings, ports)
        return {
          version: engine.version,
          nodes,
          async close() {
            for (const node of nodes) node.forget()
            await close()
          },
        }
      } catch (error) {
        await close()
        throw error
      }
    },
    close: () => engine.close(),
  }
}

/** The compose file's name of a node; those of a cluster have names of their own. */
function serviceOf(topology: Topology, name: string): string {
  if (topology === 'standalone') return 'redis'
  return topology === 'cluster' ? name.replace('redis', 'cluster') : name
}

/** Makes containers and networks, and starts nothing. Addresses within the project are fixed, so its network is ours to choose. */
async function createProject(
  engine: DockerEngine,
  topology: Topology,
  specs: readonly NodeSpec[],
  ports: readonly ReservedPort[],
): Promise<ComposeProject> {
  const services = specs.map(({ name }) => serviceOf(topology, name))
  const published = services.map((service, index) => [
    `${service.toUpperCase().replace('-', '_')}_PORT`,
    String(ports[index]!.port),
  ])
  for (let attempt = 1; ; attempt++) {
    const project = {
      name: `rss-rig-${randomBytes(4).toString('hex')}`,
      profile: topology,
      // A look every second at each of a dozen containers would be the largest load on a small machine.
      env: { ...Object.fromEntries(published), PEERS: `172.30.${randomInt(256)}`, HEALTH_INTERVAL: '1h' },
    }
    const unguard = engine.guard(project)
    try {
      await engine.compose(project, 'up', '--no-start', ...services)
      return project
    } catch (error) {
      await engine.compose(project, 'down', '--volumes', '--timeout', '0')
      if (attempt === NETWORK_ATTEMPTS || !NETWORK_TAKEN.test(String(error))) throw error
    } finally {
      unguard()
    }
  }
}

/** Gives each container its configuration. */
async function furnish(
  engine: DockerEngine,
  project: ComposeProject,
  specs: readonly NodeSpec[],
  settings: RigSettings,
  ports: readonly ReservedPort[],
): Promise<ContainerNode[]> {
  const topology = project.profile as Topology
  const password = randomBytes(16).toString('hex')
  const containers = await containersOf(engine, project)
  const addresses = new Map<string, Address>()
  for (const { name, kind } of specs) {
    addresses.set(name, { host: addressOf(project, serviceOf(topology, name)), port: INNER_PORT[kind] })
  }
  const directory = await mkdtemp(join(tmpdir(), 'rss-rig-'))
  const unguard = guardDirectory(directory)
  try {
    return await Promise.all(
      specs.map(async (spec, index) => {
        const announced = addresses.get(spec.name)!
        const { appendonly = true, maxmemory, password: requirepass } = spec.kind === 'redis' ? settings : {}
        const config = redisConfig({
          ...{
            directory: '/data',
            socketPath: '/data/s',
            host: '0.0.0.0',
            port: announced.port,
            certificate: undefined,
          },
          ...{ appendonly, maxmemory, requirepass, sentinel: spec.kind === 'sentinel', adminPassword: password },
          majorVersion: Number.parseInt(engine.version, 10),
          extra: spec.config((name) => addresses.get(name)!),
        })
        const file = join(directory, spec.name)
        await writeFile(file, configFile(config))
        const container = containers.get(serviceOf(topology, spec.name))!
        await engine.run('cp', file, `${container}:/data/redis.conf`)
        const network = `${project.name}_peers`
        if (topology !== 'standalone') await attach(engine, network, container, announced)
        const reach = { host: '127.0.0.1', port: ports[index]!.port }
        return new ContainerNode(spec, {
          engine,
          container,
          network,
          announced,
          reach,
          password,
        })
      }),
    )
  } finally {
    await rm(directory, { recursive: true, force: true })
    unguard()
  }
}

/** The containers of a project, by service. */
async function containersOf(engine: DockerEngine, { name }: ComposeProject): Promise<Map<string, string>> {
  const format = '{{.Label "com.docker.compose.service"}} {{.ID}}'
  const lines = await engine.run('ps', '-a', '--filter', `label=com.docker.compose.project=${name}`, '--format', format)
  return new Map(lines.split('\n').map((line) => line.split(' ') as [string, string]))
}

/** As in docker-compose.yml: the address of a service in the network of its project's peers. */
function addressOf({ env }: ComposeProject, service: string): string {
  const [kind, number] = service.split('-')
  const block = { redis: 1, sentinel: 2, cluster: 3 }[kind as 'redis' | 'sentinel' | 'cluster']
  return number === undefined ? '127.0.0.1' : `${env.PEERS}.${block}${number}`
}

/** Compose v1 attaches a container to its second network no sooner than it starts it. */
async function attach(engine: DockerEngine, network: string, container: string, { host }: Address): Promise<void> {
  const attached = await engine.run('inspect', '--format', '{{json .NetworkSettings.Networks}}', container)
  if (!(network in JSON.parse(attached))) await engine.run('network', 'connect', '--ip', host, network, container)
}
