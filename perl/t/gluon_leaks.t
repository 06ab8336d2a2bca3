use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use Scalar::Util qw(weaken);

needs_operators(qw(FullyConnected Activation log_softmax pick mean sgd_mom_update));

# A network goes when its last name goes: nothing below it holds it.
{

    package Net;
    use AI::MXNet::Gluon::Mouse;
    extends 'AI::MXNet::Gluon::Block';

    sub BUILD
    {
        my $self = shift;
        $self->name_scope(
            sub {
                $self->body(nn->HybridSequential);
                $self->body->add(nn->Dense(4, in_units => 3, activation => 'relu'), nn->Dropout(0.5));
                $self->head(nn->Dense(2, in_units => 4));
            }
        );
        return;
    }
    sub forward { my ($self, $x) = @_; return $self->head->($self->body->($x)) }
}

sub train
{
    my ($net, $trainer, $loss) = @_;
    my $x = nd->array([[1, 2, 3], [4, 5, 6]]);
    my $l;
    autograd->record(sub { $l = $loss->($net->($x), nd->array([0, 1])) });
    $l->backward;
    $trainer->step(2);
    return;
}

my %make = (
    'a user block' => sub { Net->new },
    'a Sequential' => sub {
        my $net = nn->Sequential;
        $net->name_scope(sub { $net->add(nn->Dense(4, in_units => 3), nn->Dense(2, in_units => 4)) });
        return $net;
    },
    'a block with hooks' => sub {
        my $net = nn->Dense(2, in_units => 3);
        $net->register_forward_hook(sub { });
        $net->register_forward_pre_hook(sub { });
        return $net;
    },
    'a block with deferred shapes' => sub {
        my $net = nn->HybridSequential;
        $net->add(nn->Dense(4, activation => 'tanh'), nn->Dense(2));
        return $net;
    },
    'a hybridized block' => sub {
        my $net = nn->HybridSequential;
        $net->add(nn->Dense(4, activation => 'tanh'), nn->Dense(2));
        $net->hybridize;
        return $net;
    },
);
for my $name (sort keys %make) {
    my $net = $make{$name}->();
    $net->initialize;
    my $loss = gluon->loss->SoftmaxCELoss();
    my $trainer = gluon->Trainer($net->collect_params, 'sgd', { learning_rate => 0.1, momentum => 0.9 });
    train($net, $trainer, $loss) for 1 .. 2;
    my ($param) = $net->collect_params->values;
    my ($child) = ($net->_children->values, $net);
    my $sub = \&{$net};
    undef $sub;
    weaken $_ for my @weak = ($net, $trainer, $param, $child);
    undef $_ for $net, $trainer, $param, $child, $loss;
    is(scalar(grep { defined } @weak), 0, "$name goes, with its trainer, parameters and children");
}

# Rounds of making, training and saving leave no memory of the library behind.
{
    my $round = sub {
        my $net = Net->new(prefix => 'net_');
        $net->initialize;
        my $trainer = gluon->Trainer($net->collect_params, 'adam', { learning_rate => 0.1 });
        train($net, $trainer, gluon->loss->SoftmaxCELoss(prefix => 'loss_'));
    };
    $round->() for 1 .. 3;
    my ($before) = AI::MXNet::Keshi::memory();
    $round->() for 1 .. 30;
    my ($after) = AI::MXNet::Keshi::memory();
    is($after, $before, 'no memory is left behind');
}

SKIP: {
    eval { require Test::LeakTrace; 1 } or skip 'needs Test::LeakTrace', 1;
    my $net = $make{'a Sequential'}->();
    $net->initialize;
    my $loss = gluon->loss->SoftmaxCELoss();
    my $trainer = gluon->Trainer($net->collect_params, 'sgd', { learning_rate => 0.1, momentum => 0.9 });
    train($net, $trainer, $loss) for 1 .. 3;
    my $leaks = Test::LeakTrace::leaked_count(sub { train($net, $trainer, $loss) });
    is($leaks, 0, 'a training step leaks nothing');
}

done_testing;
