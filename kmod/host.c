// SPDX-License-Identifier: GPL-2.0
/*
 * How does the host reach slaves with host access? By the last hook of what leaves the master: there a packet that the
 * host sends or forwards becomes the slave's, and a question for a slave's MAC address is answered. So the host needs a
 * route to its slaves by the master, as it has one to the master's own network, and no neighbour entries by hand.
 */
#include "ipvl.h"

/* The frame that a slave is sending on this CPU: it was decided on, and passes the hook on its way to the wire. */
DEFINE_PER_CPU(const struct sk_buff *, ipvl_sending);

static unsigned int to_slave(struct ipvl_port *port, struct sk_buff *skb, u32 slot)
{
	struct net_device *to = ipvl_dev_in(port, slot);

	if (!to)
		return NF_ACCEPT;
	if (!ipvl_to_sibling(to, skb))
		ipvl_drop(port->dev, port->drops, skb, IPVL_ACTION_FAILED);
	return NF_STOLEN;
}

/* Acts on what the host sends. */
static unsigned int on_output(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct ipvl_port *port = priv;
	struct ipvl_view view;
	u64 verdict;

	if (skb == this_cpu_read(ipvl_sending))
		return NF_ACCEPT;
	ipvl_view(&view, skb, skb->data);
	verdict = ipvl_output(port->tables, &view);
	if (unlikely(verdict & IPVL_DHCP))
		verdict = ipvl_dhcp(port, skb, &view, verdict, IPVL_NOBODY);
	switch (verdict & 0xff) {
	case IPVL_DELIVER:
		return to_slave(port, skb, IPVL_ARGUMENT(verdict));
	case IPVL_ANSWER:
		if (!ipvl_send_answer(port, &view, port->dev, true))
			return NF_DROP;
		consume_skb(skb);
		return NF_STOLEN;
	default:
		return NF_ACCEPT;
	}
}

/* Registers or unregisters, in the master's netns. */
int ipvl_host_hook(struct ipvl_port *port, bool on)
{
	struct net *net = read_pnet(&port->net);
	int err = 0;

	if (on == !!port->output.hook)
		return 0;
	if (on) {
		port->output = (struct nf_hook_ops){
			.hook = on_output, .priv = port, .dev = port->dev,
			.pf = NFPROTO_NETDEV, .hooknum = NF_NETDEV_EGRESS, .priority = INT_MAX,
		};
		err = nf_register_net_hook(net, &port->output);
	} else {
		nf_unregister_net_hook(net, &port->output);
	}
	if (err || !on)
		port->output.hook = NULL;
	return err;
}
