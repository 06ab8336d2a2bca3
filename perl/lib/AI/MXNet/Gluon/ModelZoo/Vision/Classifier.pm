package AI::MXNet::Gluon::ModelZoo::Vision::Classifier;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Gluon::HybridBlock;
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

# What the networks of the zoo share: features, which a class makes, and an output for the classes.

has classes => (is => 'ro', isa => 'Int', default => 1000);
has [qw(features output)] => (is => 'rw', init_arg => undef);

sub BUILD
{
    my $self = shift;
    $self->name_scope(
        sub {
            my $features = $self->empty_features;
            $features->name_scope(sub { $self->make_features($features) });
            $self->features($features);
            $self->output($self->make_output);
        }
    );
    return;
}

sub empty_features { return nn->HybridSequential(prefix => '') }
sub make_output { return nn->Dense($_[0]->classes) }

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $self->{output}->call($self->{features}->call($x));
}

no AI::MXNet::Gluon::Mouse;

1;
