package AI::MXNet::Updater;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed);
use Storable ();
use Mouse;

# An optimizer with the states of the parameters that it updates.

use overload
    '&{}' => sub {
    my $self = shift;
    return sub { return $self->call(@_) }
    },
    fallback => 1;

has optimizer => (is => 'rw', isa => 'AI::MXNet::Optimizer');
has [qw(states states_synced)] => (is => 'rw', isa => 'HashRef', default => sub { +{} });

# The state that belongs to an index, where the weight lives.
sub _state
{
    my ($self, $index, $weight) = @_;
    if (not exists $self->{states}{$index}) {
        $self->{states}{$index} = scalar $self->{optimizer}->create_state_multi_precision($index, $weight);
        $self->{states_synced}{$index} = 1;
    } elsif (not $self->{states_synced}{$index}) {
        $self->{states}{$index} = sync_state_context($self->{states}{$index}, $weight->context);
        $self->{states_synced}{$index} = 1;
    }
    return $self->{states}{$index};
}

# ($index, $grad, $weight), or a list of each.
sub call
{
    my ($self, $index, $grad, $weight) = @_;
    return $self->_call_all($index, $grad, $weight) if ref $index eq 'ARRAY';
    AI::MXNet::Keshi::fail('updater: index got ' . ($index // 'undef') . ', want a whole number')
        if ref $index
        or ($index // '') !~ /^-?\d+$/;
    for my $array ($grad, $weight) {
        AI::MXNet::Keshi::fail('updater: got ' . ($array // 'undef') . ', want a gradient and a weight')
            if not blessed($array)
            or not $array->isa('AI::MXNet::NDArray');
    }
    $self->{optimizer}->update_multi_precision($index, $weight, $grad, $self->_state($index, $weight));
    return;
}

sub _call_all
{
    my ($self, $indices, $grads, $weights) = @_;
    AI::MXNet::Keshi::fail('updater: got '
            . @$indices
            . ' indices, '
            . @$grads
            . ' gradients and '
            . @$weights
            . ' weights, want as many of each')
        if @$indices != @$grads
        or @$indices != @$weights;
    my ($states, $synced) = @$self{qw(states states_synced)};
    for my $i (0 .. $#$indices) {
        my $index = $indices->[$i];
        $self->_state($index, $weights->[$i]) if not $synced->{$index} or not exists $states->{$index};
    }
    $self->{optimizer}->update_all($indices, $weights, $grads, [@$states{@$indices}]);
    return;
}

sub sync_state_context
{
    my ($state, $context) = @_;
    return $state->as_in_context($context) if blessed $state and $state->isa('AI::MXNet::NDArray');
    return [map { sync_state_context($_, $context) } @$state] if ref $state eq 'ARRAY';
    return $state;
}

# Bytes of the states, with the optimizer when asked for: get_states(1) or get_states(dump_optimizer => 1).
sub get_states
{
    my ($self, @args) = @_;
    my $dump_optimizer = @args == 2 && $args[0] eq 'dump_optimizer' ? $args[1] : $args[0];
    return Storable::freeze($self->states) if not $dump_optimizer;
    my $optimizer = $self->optimizer;
    local $optimizer->{param_dict} = {};
    local $optimizer->{sym} = undef;
    return Storable::freeze([$self->states, $optimizer]);
}

sub set_states
{
    my ($self, $bytes) = @_;
    my $thawed =
        eval { Storable::thaw($bytes) } // AI::MXNet::Keshi::fail('set_states: these are not the bytes of get_states');
    my $states = $thawed;
    if (ref $thawed eq 'ARRAY') {
        ($states, my $optimizer) = @$thawed;
        $self->optimizer($optimizer);
    }
    $self->states($states);
    $self->states_synced({ map { ($_ => 0) } keys %$states });
    return;
}

__PACKAGE__->meta->make_immutable;
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::Updater - an optimizer with the states of what it updates

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $updater = mx->optimizer->get_updater(mx->optimizer->SGD(learning_rate => 0.1, momentum => 0.9));
    my $weight = nd->array([1, 2]);
    $updater->(0, nd->array([0.5, 0.25]), $weight);
    my $bytes = $updater->get_states;

    my $other = mx->optimizer->get_updater(mx->optimizer->SGD(learning_rate => 0.1, momentum => 0.9));
    $other->set_states($bytes);

=head1 DESCRIPTION

Called with an index, a gradient and a weight, it updates the weight, with a state that it makes when the index is new. Three
lists, one of each, are updated in as few calls as the optimizer can.

C<get_states> freezes the states; C<get_states(1)> the optimizer with its counts too. C<set_states($bytes)> takes them back: what
was there before is replaced. C<states> and C<states_synced> are hashes by index.

=cut
