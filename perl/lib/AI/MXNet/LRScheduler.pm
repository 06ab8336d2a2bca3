package AI::MXNet::LRScheduler;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Logging;
use Mouse;

# Learning rates that depend on the number of updates so far.

use overload
    '&{}' => sub {
    my $self = shift;
    return sub { return $self->call(@_) }
    },
    fallback => 1;

has base_lr => (is => 'rw', isa => 'Num', default => 0.01);

sub call
{
    my $self = shift;
    AI::MXNet::Keshi::fail(ref($self) . ': call is not implemented');
}

sub _check_step
{
    AI::MXNet::Keshi::fail('Schedule step must be greater or equal than 1') if $_[0] < 1;
    return;
}

sub _check_factor
{
    AI::MXNet::Keshi::fail('Factor must be no more than 1 to make lr reduce') if $_[0] > 1;
    return;
}

# Multiplies the rate and says so.
sub _reduce
{
    my ($self, $num_update) = @_;
    $self->base_lr($self->base_lr * $self->factor);
    AI::MXNet::Logging->info('Update[%d]: Changed learning rate to %0.5e', $num_update, $self->base_lr);
    return;
}

__PACKAGE__->meta->make_immutable;
no Mouse;

package AI::MXNet::FactorScheduler;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::LRScheduler';

has step => (is => 'ro', isa => 'Int', required => 1);
has factor => (is => 'ro', isa => 'Num', default => 1);
has count => (is => 'rw', isa => 'Int', default => 1);
has stop_factor_lr => (is => 'ro', isa => 'Num', default => 1e-8);

sub BUILD
{
    my $self = shift;
    AI::MXNet::LRScheduler::_check_step($self->step);
    AI::MXNet::LRScheduler::_check_factor($self->factor);
    return;
}

sub call
{
    my ($self, $num_update) = @_;
    while ($num_update > $self->count + $self->step) {
        $self->count($self->count + $self->step);
        if ($self->base_lr * $self->factor >= $self->stop_factor_lr) {
            $self->_reduce($num_update);
            next;
        }
        $self->base_lr($self->stop_factor_lr);
        AI::MXNet::Logging->info('Update[%d]: now learning rate arrived at %0.5e, will not change in the future',
            $num_update, $self->base_lr);
    }
    return $self->base_lr;
}

__PACKAGE__->meta->make_immutable;
no Mouse;

package AI::MXNet::MultiFactorScheduler;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::LRScheduler';

has step => (is => 'ro', isa => 'ArrayRef[Int]', required => 1);
has factor => (is => 'ro', isa => 'Num', default => 1);
has [qw(cur_step_ind count)] => (is => 'rw', isa => 'Int', default => 0);

sub BUILD
{
    my $self = shift;
    my @step = @{ $self->step };
    AI::MXNet::Keshi::fail('step array must have at least one member') if not @step;
    AI::MXNet::LRScheduler::_check_step($_) for @step;
    AI::MXNet::Keshi::fail('Schedule step must be an increasing integer list')
        if grep { $step[$_] <= $step[$_ - 1] } 1 .. $#step;
    AI::MXNet::LRScheduler::_check_factor($self->factor);
    return;
}

sub call
{
    my ($self, $num_update) = @_;
    my $step = $self->step;
    while ($self->cur_step_ind < @$step and $num_update > $step->[$self->cur_step_ind]) {
        $self->count($step->[$self->cur_step_ind]);
        $self->cur_step_ind($self->cur_step_ind + 1);
        $self->_reduce($num_update);
    }
    return $self->base_lr;
}

__PACKAGE__->meta->make_immutable;
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::LRScheduler - learning rates that change with the number of updates

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $scheduler = AI::MXNet::FactorScheduler->new(step => 1000, factor => 0.5);
    my $optimizer = mx->optimizer->SGD(learning_rate => 0.1, lr_scheduler => $scheduler);
    print $scheduler->(500), "\n";    # 0.1

=head1 DESCRIPTION

A scheduler is called with the number of updates and returns the learning rate. C<base_lr> is the rate now; an optimizer sets it
to its C<learning_rate>.

=over 4

=item AI::MXNet::FactorScheduler->new(step => $n, factor => 1, stop_factor_lr => 1e-8, count => 1)

Multiplies the rate by C<factor> after each C<step> updates, down to C<stop_factor_lr>.

=item AI::MXNet::MultiFactorScheduler->new(step => \@updates, factor => 1)

Multiplies it when the number of updates passes each of the given ones.

=back

A scheduler of one's own C<extends 'AI::MXNet::LRScheduler'> and defines C<call($num_update)>.

=cut
